# One image for web, worker, beat and management commands; the command decides.
FROM python:3.11-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /venv
WORKDIR /build
COPY requirements/base.txt requirements/tracing.txt ./
# tracing.txt: with what traces need (docs/operations.md#traces)
ARG REQUIREMENTS=base.txt
RUN /venv/bin/pip install --require-hashes -r "$REQUIREMENTS"

FROM python:3.11-slim-bookworm
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 CURFEW_DATA=/data CURFEW_BIND=0.0.0.0 CURFEW_DEMO=0
RUN useradd --system --uid 10001 --create-home curfew && install -d -o curfew /data
COPY --from=build /venv /venv
WORKDIR /app
COPY manage.py pyproject.toml ./
COPY templates templates
COPY static static
COPY locale locale
COPY docs/openapi.json docs/
COPY idp idp
COPY sessions_app sessions_app
COPY logout_app logout_app
USER 10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=12 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
CMD ["python", "manage.py", "up"]
