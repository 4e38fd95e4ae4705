#!/bin/sh
# A NiceGUI application with two pages.
exec python "$APP/main.py"
