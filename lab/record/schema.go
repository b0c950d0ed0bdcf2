package record

import (
	_ "embed" // the schema
)

//go:embed schema.json
var schemaJSON []byte

// JSONSchema is the JSON schema (2020-12) of a record.
func JSONSchema() []byte { return schemaJSON }
