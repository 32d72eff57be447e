"""The HTTP side: who sends, what was sent, and how it is answered."""
