#!/bin/sh
# Prometheus that scrapes itself every second.
cat >prometheus.yml <<END
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: itself
    static_configs: [{targets: ["$ADDRESS:$PORT"]}]
END
exec prometheus --config.file=prometheus.yml --storage.tsdb.path="$PWD/data" --web.listen-address="$ADDRESS:$PORT"
