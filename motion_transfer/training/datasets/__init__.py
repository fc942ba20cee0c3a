"""The field's data sets and the user's own videos as pairs of pictures of one person.

A loader (`deepfashion`, `mvc`, `clips`) reads an official layout and says which pictures show one
person in the same clothes and which pairs are used. `prepare` finds pose and matte once and writes
shards; `pictures` reads them, for training and for evaluation alike.
"""
