#!/bin/sh
# Flower over one Celery worker. It compares the page's address with its own setting of its prefix, so it is told of it.
export PYTHONPATH="$APP" PYTHONDONTWRITEBYTECODE=1
mkdir queue control
python -m celery --app tasks worker --loglevel=warning --concurrency=1 --pool=solo --task-events &
python "$APP/send.py"
exec python -m celery --app tasks flower --address="$ADDRESS" --port="$PORT" --url_prefix="$PREFIX"
