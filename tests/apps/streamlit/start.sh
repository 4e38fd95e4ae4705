#!/bin/sh
# A Streamlit application with two pages.
cp -r "$APP/main.py" "$APP/pages" .
exec python -m streamlit run main.py --server.address="$ADDRESS" --server.port="$PORT" --server.headless=true \
    --browser.gatherUsageStats=false
