import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo

    slider = mo.ui.slider(1, 10, label="a number")
    slider
    return mo, slider


@app.cell
def _(mo, slider):
    mo.md(f"its square is {slider.value**2}")
    return


if __name__ == "__main__":
    app.run()
