# duolog as an image: the service alone, without servers, tools or tests; nothing in it runs as root.
#
#   docker build -t duolog .
#   docker run -d --name duolog --init \
#     -v /etc/duolog/rules.yaml:/etc/duolog/rules.yaml:ro -v duolog-store:/var/lib/duolog \
#     --env-file /etc/duolog/environment duolog
#
# With drivers of ODBC, for `adapter: sqlserver` and `adapter: odbc` (FreeTDS speaks to SQL Server):
#
#   docker build -t duolog:odbc --build-arg EXTRAS=odbc --build-arg PACKAGES="unixodbc tdsodbc odbc-postgresql" .
#
# The rule file should say `store: sqlite:////var/lib/duolog/store.db`: its own folder is not writable here.

FROM python:3.13-slim AS build
ARG EXTRAS=""
WORKDIR /src
COPY pyproject.toml README.md ./
COPY engine engine
COPY adapters adapters
COPY rules rules
COPY service service
RUN python -m venv /opt/duolog && /opt/duolog/bin/pip install --no-cache-dir --disable-pip-version-check \
    ".${EXTRAS:+[$EXTRAS]}"

FROM python:3.13-slim
ARG PACKAGES=""
RUN if [ -n "$PACKAGES" ]; then \
      apt-get update && apt-get install --yes --no-install-recommends $PACKAGES && rm -rf /var/lib/apt/lists/*; \
    fi
RUN groupadd --system --gid 10001 duolog \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/duolog duolog \
 && install -d -o duolog -g duolog -m 0700 /var/lib/duolog \
 && install -d -m 0755 /etc/duolog
COPY --from=build /opt/duolog /opt/duolog
ENV PATH=/opt/duolog/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DUOLOG_RULES=/etc/duolog/rules.yaml
USER duolog
WORKDIR /var/lib/duolog
VOLUME /var/lib/duolog

# Exit code 0: the engine runs and no system needs a person. The start period leaves time for a first merge.
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 \
    CMD ["sh", "-c", "exec duolog status \"$DUOLOG_RULES\" >/dev/null"]

# SIGTERM finishes the transaction in hand; `docker stop --time 60` leaves it the time.
STOPSIGNAL SIGTERM
ENTRYPOINT ["duolog"]
CMD ["run", "/etc/duolog/rules.yaml"]
