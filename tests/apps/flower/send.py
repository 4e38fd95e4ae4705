"""Sends the worker one task."""

from tasks import double

double.delay(21)
