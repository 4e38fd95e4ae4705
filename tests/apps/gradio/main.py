"""A form that greets whoever is named in it."""

import gradio

form = gradio.Interface(
    fn=lambda name: f"Hello {name}, says the server",
    inputs=gradio.Textbox(label="Name"),
    outputs=gradio.Textbox(label="Greeting"),
    title="Greetings",
)
form.launch()
