# Pin the digest too where images are mirrored: docker buildx imagetools inspect python:3.11.13-slim-bookworm
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
RUN python -m venv /opt/sc_stim
ENV PATH=/opt/sc_stim/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/run.lock requirements/build.lock requirements/node.lock requirements/
RUN pip install --require-hashes -r requirements/run.lock
# What only the build needs stays out of the image: a Node for the front-end libraries, and setuptools.
RUN python -m venv /opt/build && /opt/build/bin/pip install --require-hashes -r requirements/build.lock -r requirements/node.lock
COPY pyproject.toml setup.py README.md LICENSE ./
COPY frontend frontend
COPY sc_stim sc_stim
COPY simulators simulators
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir dist . && pip install --no-deps dist/*.whl

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
