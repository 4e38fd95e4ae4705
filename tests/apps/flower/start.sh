#!/bin/sh
# Flower over one Celery worker that gets a task every second. Flower compares the page's address with its own setting of
# its prefix, so it is told of it.
export PYTHONPATH="$APP" PYTHONDONTWRITEBYTECODE=1
mkdir queue control
python -m celery --app tasks worker --beat --hostname=worker@demo --concurrency=1 --pool=solo --task-events --loglevel=info &
exec python -m celery --app tasks flower --address="$ADDRESS" --port="$PORT" --url_prefix="$PREFIX"
