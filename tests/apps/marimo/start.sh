#!/bin/sh
# marimo's editor with one notebook. Without a token, as its pod has no terminal that one could be read from.
cp "$APP/notebook.py" .
exec python -m marimo edit notebook.py --headless --no-token --host "$ADDRESS" --port "$PORT" --skip-update-check
