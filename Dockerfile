# Pin the digest too where images are mirrored: docker buildx imagetools inspect python:3.11.13-slim-bookworm
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
RUN python -m venv /opt/sc_stim
ENV PATH=/opt/sc_stim/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/run.lock requirements/build.lock requirements/
RUN pip install --require-hashes -r requirements/run.lock -r requirements/build.lock
COPY pyproject.toml README.md LICENSE ./
COPY sc_stim sc_stim
COPY simulators simulators
RUN pip install --no-deps --no-build-isolation .

FROM ${PYTHON_IMAGE}
ENV PATH=/opt/sc_stim/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A volume first mounted at /mosquitto/data takes its owner from here: the user of the mosquitto image.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin sc_stim \
  && install -d -o 1883 -g 1883 -m 0750 /mosquitto/data
COPY --from=build /opt/sc_stim /opt/sc_stim
COPY deploy/part-ok /usr/local/bin/part-ok
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["sc-stim"]
CMD ["web"]
