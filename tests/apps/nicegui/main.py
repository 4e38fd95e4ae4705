"""A button that counts on the server, and a second page that a link leads to."""

import os

from nicegui import ui


@ui.page("/")
def counter():
    count = {"value": 0}
    label = ui.label("counted 0")

    def add():
        count["value"] += 1
        label.set_text(f"counted {count['value']}")

    ui.button("Count", on_click=add)
    ui.link("Details", "/details")


@ui.page("/details")
def details():
    ui.label("the details")
    ui.button("Back", on_click=lambda: ui.navigate.to("/"))


ui.run(host=os.environ["ADDRESS"], port=int(os.environ["PORT"]), show=False, reload=False)
