# The browser app on the CPU. `docs/browser.md` says how to build and run it.
FROM python:3.12-slim AS build
WORKDIR /app
# Where PyTorch's CPU wheels are, see its installation page; without it the default build is taken,
# which brings gigabytes of CUDA.
ARG TORCH_INDEX=""
COPY requirements.txt pyproject.toml README.md LICENSE ./
RUN python -m venv /venv \
    && if [ -n "$TORCH_INDEX" ]; then /venv/bin/pip install --no-cache-dir \
       --index-url "$TORCH_INDEX" "$(grep -oE '^torch==[0-9.]+' requirements.txt)"; fi \
    && /venv/bin/pip install --no-cache-dir --requirement requirements.txt
COPY motion_transfer motion_transfer
RUN /venv/bin/pip install --no-cache-dir --no-deps --editable .

FROM python:3.12-slim
RUN useradd --create-home --uid 1000 dancer && mkdir /data && chown dancer /data
COPY --from=build /venv /venv
COPY --from=build /app /app
COPY demos /app/demos
COPY app.py /app/
WORKDIR /app
USER dancer
ENV MOTION_TRANSFER_HOME=/data PYTHONUNBUFFERED=1 NUMBA_CACHE_DIR=/tmp/numba
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --start-period=60s \
    CMD ["/venv/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:7860/health')"]
ENTRYPOINT ["/venv/bin/motion-transfer", "serve", "--host", "0.0.0.0"]
