"""Code that FlatBuffers' compiler generates from the schemas in the `executorch` wheel.

The schemas are Copyright (c) Meta Platforms, Inc. and affiliates, under a BSD license. Where the
wheel is installed, these commands make the code again, in the folder of this file:

    wheel=$(python -c "import executorch; print(*executorch.__path__)")
    flatc --python --gen-onefile $wheel/schema/program.fbs $wheel/schema/scalar_type.fbs
    flatc --python --gen-onefile $wheel/backends/xnnpack/serialization/runtime_schema.fbs
    mv runtime_schema_generated.py xnnpack_generated.py
"""
