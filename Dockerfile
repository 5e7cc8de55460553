# The one image: every role of the shop is a command of the same binary.
#
#   docker build -t jupan .
#   docker run -p 127.0.0.1:8080:8080 -v shop:/data jupan --listen 0.0.0.0:8080 --trusted-network
#
# Needs nothing of BuildKit. BUILDER and BASE name other images where these cannot be pulled: a Debian with
# this Rust, and a root that has the libraries of the first one's C compiler.
ARG BUILDER=rust:1.95.0-slim-bookworm
ARG BASE=debian:bookworm-slim

FROM ${BUILDER} AS build
# librdkafka is compiled from the sources that its crate brings.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends build-essential ca-certificates \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /jupan
COPY . .
RUN cargo build --release --locked --bin jupan \
    && mkdir /out \
    && strip --strip-debug -o /out/jupan target/release/jupan

FROM ${BASE}
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/jupan /usr/local/bin/
# A library that this base lacks shows here, and not when a shop is started.
RUN /usr/local/bin/jupan --version && mkdir /data && chown 65532:65532 /data
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/jupan"]
