"""Prints the rows of a Parquet file as JSON lines, as one library reads them: read_parquet.py LIBRARY FILE"""
import json
import struct
import sys

library, path = sys.argv[1:]
COLUMNS = ["metric", "timestamp", "value", "value_u64", "resource_kind", "resource_id", "consumer_kind", "consumer_id",
           "relay_client", "attributes", "unit"]

if library == "pyarrow":
    import pyarrow.parquet
    table = pyarrow.parquet.read_table(path)
    columns = {name: table[name].cast("int64").to_pylist() if name == "timestamp" else table[name].to_pylist()
               for name in COLUMNS}
elif library == "duckdb":
    import duckdb
    names = ", ".join("epoch_ns(timestamp)" if name == "timestamp" else name for name in COLUMNS)
    rows = duckdb.execute(f"SELECT {names} FROM read_parquet(?)", [path]).fetchall()
    columns = dict(zip(COLUMNS, [list(column) for column in zip(*rows)]))
elif library == "polars":
    import polars
    frame = polars.read_parquet(path)
    columns = {name: (frame[name].cast(polars.Int64) if name == "timestamp" else frame[name]).to_list()
               for name in COLUMNS}
else:
    sys.exit(f"read_parquet.py: there is no {library}")

# Floats bit by bit; all NaN are one.
bits = lambda value: "nan" if value != value else struct.pack(">d", value).hex()
for row in zip(*(columns[name] for name in COLUMNS)):
    named = dict(zip(COLUMNS, row))
    named["value"] = bits(named["value"])
    named["timestamp"] = str(named["timestamp"])
    named["value_u64"] = None if named["value_u64"] is None else str(named["value_u64"])
    print(json.dumps(named))
