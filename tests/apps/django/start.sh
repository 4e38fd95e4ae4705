#!/bin/sh
# Django with nothing but its admin, one model and one administrator.
export DJANGO_SETTINGS_MODULE=settings PYTHONPATH="$APP" PYTHONDONTWRITEBYTECODE=1
export DJANGO_SUPERUSER_PASSWORD=a-password
python -m django migrate --verbosity=0 --run-syncdb
python -m django createsuperuser --noinput --username=an-admin --email=an-admin@example.org
exec python -m django runserver --noreload "$ADDRESS:$PORT"
