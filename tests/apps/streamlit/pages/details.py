"""The second page, which has an address of its own."""

import streamlit

streamlit.title("Details")
streamlit.write("the details")
