#!/bin/sh
# Runs once, on an empty data directory: the application's own account, which is no superuser, and its database.
set -eu
psql --username "$POSTGRES_USER" --no-psqlrc --set ON_ERROR_STOP=1 <<'SQL'
\set password `cat /run/secrets/postgres_application_password`
CREATE ROLE sc_stim LOGIN PASSWORD :'password';
CREATE DATABASE sc_stim OWNER sc_stim;
REVOKE ALL ON DATABASE sc_stim FROM PUBLIC;
SQL
