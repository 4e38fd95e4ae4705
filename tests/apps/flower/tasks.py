"""A Celery application whose broker is a directory."""

import os

from celery import Celery

home = os.environ["HOME"]
app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": f"{home}/queue",
    "data_folder_out": f"{home}/queue",
    "control_folder": f"{home}/control",
}


@app.task(name="double")
def double(number):
    return 2 * number
