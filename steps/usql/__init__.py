"""U-SQL, the language of a service that is no more: a documented subset of it, run on DuckDB.

    substitution   @@name@@ in a script
    grammar        text -> tree
    tree           the values of a script, each with its place
    types          the types of C# that are understood
    expressions    C# expressions -> DuckDB's, by type
    methods        methods and properties that are understood
    rowsets        SELECT, EXTRACT, OUTPUT -> statements
    prelude        macros for what C# does and DuckDB does otherwise
    run            the statements, on files

What is outside the subset is refused with its name and its place, before anything runs. Where the meaning depends on
values (a null where C# would throw, text that DuckDB would compare otherwise), the statement itself checks them and
fails. Nothing is ever run with another meaning. docs/usql.md says what the subset is.
"""
