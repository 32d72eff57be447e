"""The HTTP protocol class: the parts that uvicorn lacks."""
