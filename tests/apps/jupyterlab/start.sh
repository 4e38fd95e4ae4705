#!/bin/sh
# JupyterLab with a password and one notebook, whose kernel is that of the virtual environment.
hash=$(python -c 'from jupyter_server.auth import passwd; print(passwd("a-password", "sha1"))')
mkdir notebooks
cp "$APP/clock.ipynb" notebooks/
exec python -m jupyterlab --no-browser --allow-root --ip="$ADDRESS" --port="$PORT" --ServerApp.port_retries=0 \
    --IdentityProvider.token= --PasswordIdentityProvider.hashed_password="$hash" --ServerApp.root_dir="$PWD/notebooks"
