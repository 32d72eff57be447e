# The builder has pip and the build tools; the image that runs has neither.
FROM python:3.13-slim AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
RUN python -m venv --without-pip /opt/rollcall
COPY requirements.lock requirements-build.lock ./
RUN pip --python /opt/rollcall/bin/python install \
        --require-hashes --only-binary :all: --requirement requirements.lock \
    && pip install \
        --require-hashes --only-binary :all: --requirement requirements-build.lock
COPY pyproject.toml README.md ./
COPY app ./app
COPY migrations ./migrations
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/rollcall/bin/python install --no-deps --no-index dist/*.whl

FROM python:3.13-slim
# A fixed number, so that whoever mounts a volume knows whose it must be.
RUN groupadd --gid 10001 rollcall \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin rollcall \
    && install --directory --owner 10001 --group 10001 --mode 0711 /var/lib/rollcall
COPY --from=builder /opt/rollcall /opt/rollcall
ENV PATH=/opt/rollcall/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ROLLCALL_DATA_DIR=/var/lib/rollcall \
    ROLLCALL_EMBEDDED=off \
    ROLLCALL_HOST=0.0.0.0 \
    ROLLCALL_PORT=8000
WORKDIR /var/lib/rollcall
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
# Alive, not ready: to restart it would not bring a database back. No proxy that the
# environment may name is asked.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["python", "-c", "import os, urllib.request as u; u.build_opener(u.ProxyHandler({})).open('http://127.0.0.1:' + os.environ['ROLLCALL_PORT'] + '/livez', timeout=2)"]
ENTRYPOINT ["rollcall"]
CMD ["serve"]
