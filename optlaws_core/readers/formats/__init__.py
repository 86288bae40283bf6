"""Log formats, one module each: a file's columns as written, `RawRun`; nothing dropped yet."""
