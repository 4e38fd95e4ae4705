#!/bin/sh
# RabbitMQ with its management page, all of its state and its Erlang port mapper's in this directory and namespace.
echo '[rabbitmq_management].' >enabled_plugins
cat >rabbitmq.conf <<END
listeners.tcp.1 = $ADDRESS:5672
management.tcp.ip = $ADDRESS
management.tcp.port = $PORT
default_user = an-admin
default_pass = a-password
loopback_users = none
END
export RABBITMQ_NODENAME=rabbit@localhost RABBITMQ_MNESIA_BASE="$PWD/data" RABBITMQ_LOG_BASE="$PWD/log"
export RABBITMQ_CONFIG_FILE="$PWD/rabbitmq.conf" RABBITMQ_ENABLED_PLUGINS_FILE="$PWD/enabled_plugins"
export RABBITMQ_PID_FILE="$PWD/pid" ERL_EPMD_ADDRESS=127.0.0.1
exec /usr/lib/rabbitmq/bin/rabbitmq-server
