"""The compiler: from operations to machine code. docs/how_compile_works.md walks through it."""
