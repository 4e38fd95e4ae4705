#!/bin/sh
# A Gradio application with one form.
export GRADIO_ANALYTICS_ENABLED=False GRADIO_SERVER_NAME="$ADDRESS" GRADIO_SERVER_PORT="$PORT"
exec python "$APP/main.py"
