"""Values: what form a field has, and how each column's texts become that form and come back from it.

    columns ─forms→ one canonical form for each field ─codecs, floats, moments→ named pairs there and back
            ─maps, fit, loss→ what does not fit, or is lost on the way, told before it happens

Turns column types and the words that a rule file says of a column into `Codec`s; never looks at who is right.
"""
