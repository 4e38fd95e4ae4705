"""A button that counts on the server, a table and a chart."""

import streamlit

streamlit.title("Figures")
if "count" not in streamlit.session_state:
    streamlit.session_state.count = 0
if streamlit.button("Count"):
    streamlit.session_state.count += 1
streamlit.write(f"counted {streamlit.session_state.count}")
streamlit.line_chart({"squares": [n * n for n in range(10)]})
