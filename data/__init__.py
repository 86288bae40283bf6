"""Our own training runs: the program that makes them and the logs it made. torch is imported here and nowhere else.

corpus.py    the text: this Python's standard library, split by file into training and held-out
model.py     the decoder-only byte-level transformer
sweep.py     a sweep as declared in TOML, and the manifest of its finished runs
pretrain.py  one run: the training loop and its log
train.py     the command `python -m data.train`: processes, progress, resuming
"""
