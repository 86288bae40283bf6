# The app: docker build -t optlaws . && docker run -p 8501:8501 -v optlaws:/store optlaws
FROM python:3.11.14-slim-bookworm AS packages

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /venv
COPY deploy/requirements.lock .
RUN /venv/bin/pip install --require-hashes -r requirements.lock

FROM python:3.11.14-slim-bookworm

RUN useradd --uid 10001 --create-home optlaws && install -d -o optlaws -m 700 /store
COPY --from=packages /venv /venv
WORKDIR /app
COPY .streamlit/config.toml .streamlit/
COPY data/ data/
COPY optlaws_core/ optlaws_core/
COPY pages/ pages/
COPY app.py .
# the app cannot write beside its code, so Python would compile it at every start
RUN python -m compileall -q .

ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OPTLAWS_PROVE=off \
    OPTLAWS_STORE=/store/comparisons.sqlite \
    STREAMLIT_SERVER_ADDRESS=0.0.0.0 \
    STREAMLIT_SERVER_PORT=8501 \
    STREAMLIT_SERVER_HEADLESS=true
USER 10001
VOLUME /store
EXPOSE 8501
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"STREAMLIT_SERVER_PORT\"]}/ready', timeout=8)"]
CMD ["python", "-m", "streamlit", "run", "app.py"]
