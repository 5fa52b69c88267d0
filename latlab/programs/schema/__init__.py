r"""Code that FlatBuffers' compiler generates from the schemas in the `executorch` wheel.

The schemas are Copyright (c) Meta Platforms, Inc. and affiliates, under a BSD license. Where the
wheel is installed, these commands make the code again:

    wheel=$(python -c "import executorch; print(*executorch.__path__)")
    flatc --python --gen-onefile -o made $wheel/schema/program.fbs $wheel/schema/scalar_type.fbs \
        $wheel/backends/xnnpack/serialization/runtime_schema.fbs
    mv made/program_generated.py made/scalar_type_generated.py latlab/programs/schema
    mv made/runtime_schema_generated.py latlab/programs/schema/xnnpack_generated.py
"""
