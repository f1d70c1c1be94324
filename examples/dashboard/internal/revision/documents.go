package revision

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/readthrough/readthrough/examples/internal/database"
)

// ByKey runs a query whose rows are a key, the version of its list, and the id and the document of one
// element. It returns the list of each key. The document of a key with an empty list is NULL.
func ByKey[T any](ctx context.Context, q database.Queryer, setID func(*T, int64), query string, args ...any) (map[string]Of[[]T], error) {
	lists := map[string]Of[[]T]{}
	err := database.Each(ctx, q, func(rows *sql.Rows) error {
		var key string
		var version, id sql.NullInt64
		var document sql.NullString
		if err := rows.Scan(&key, &version, &id, &document); err != nil {
			return err
		}
		list, ok := lists[key]
		if !ok {
			list.Value = []T{}
		}
		list.Version = version.Int64
		if document.Valid {
			var element T
			if err := json.Unmarshal([]byte(document.String), &element); err != nil {
				return err
			}
			setID(&element, id.Int64)
			list.Value = append(list.Value, element)
		}
		lists[key] = list
		return nil
	}, query, args...)
	return lists, err
}

// Document returns the document of value for the database.
func Document(value any) string {
	encoded, err := json.Marshal(value)
	if err != nil {
		panic(err) // texts, numbers and lists of them always encode
	}
	return string(encoded)
}
