#!/bin/sh
# TensorBoard over the log of one made-up training.
python "$APP/write_log.py" "$PWD/log"
exec python -m tensorboard.main --logdir="$PWD/log" --host="$ADDRESS" --port="$PORT"
