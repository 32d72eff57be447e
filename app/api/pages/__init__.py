"""Pages for people: server-rendered HTML, one style sheet, plain JavaScript modules."""
