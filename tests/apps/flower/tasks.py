"""A Celery application whose broker is a directory, with one task that is due every second."""

import os

from celery import Celery

home = os.environ["HOME"]
app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": f"{home}/queue",
    "data_folder_out": f"{home}/queue",
    "control_folder": f"{home}/control",
}
app.conf.beat_schedule = {"every second": {"task": "double", "schedule": 1.0, "args": [21]}}


@app.task(name="double")
def double(number):
    return 2 * number
