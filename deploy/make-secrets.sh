#!/bin/sh
# Makes every secret of docker-compose.yml, at random, in deploy/secrets. One that is there already stays as it is.
# Also a certificate authority of its own for the broker, for devices to trust; replace broker.crt, broker.key and
# ca.crt by your own where you have them. Needs openssl.
set -eu
umask 077
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/secrets}
broker_name=${SC_STIM_BROKER_NAME:-localhost}
mkdir -p "$out"
cd "$out"

keep() { # keep NAME: the new secret from standard input, unless NAME is there
  if [ -s "$1" ]; then cat > /dev/null; else tr -d '\n' > "$1"; fi
}
random() { openssl rand -hex 32; }

random | keep secret_key
random | keep postgres_superuser_password
random | keep postgres_application_password
random | keep redis_password
random | keep mqtt_password
random | keep broker_admin_password

echo "postgresql://sc_stim:$(cat postgres_application_password)@postgres:5432/sc_stim" | keep database_url
echo "redis://sc_stim:$(cat redis_password)@redis:6379/0" | keep redis_url
echo "mqtt://admin:$(cat broker_admin_password)@mosquitto:1883" | keep broker_admin_url
redis_sha256=$(openssl dgst -sha256 -r redis_password | cut -d ' ' -f 1)
[ -s redis_users.acl ] || sed "s/\$password_sha256/$redis_sha256/" "$here/redis/users.acl" > redis_users.acl

if [ ! -s broker.crt ]; then
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=sc_stim broker CA" \
    -keyout ca.key -out ca.crt 2> openssl.log
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$broker_name" \
    -keyout broker.key -out broker.csr 2>> openssl.log
  printf 'subjectAltName=DNS:%s,DNS:mosquitto,IP:127.0.0.1\n' "$broker_name" > broker.ext
  openssl x509 -req -in broker.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 825 -extfile broker.ext \
    -out broker.crt 2>> openssl.log
  rm -f broker.csr broker.ext ca.srl openssl.log
fi

# Compose mounts each file into the containers that name it, where its reader has another user id. The directory,
# which only its owner may enter, is what protects them here. The authority's own key is for nobody else.
chmod 700 .
chmod 444 ./*
chmod 400 ca.key 2> /dev/null || true
echo "Secrets are in $out"
