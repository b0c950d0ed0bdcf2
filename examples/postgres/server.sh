#!/bin/sh
# A PostgreSQL server out of nothing: server.sh DIR. It runs as the user of
# lab.check, and whoever asks may connect.
set -e
PATH=$(echo /usr/lib/postgresql/*/bin | tr ' ' :):$PATH
if ! [ -d "$1/data" ]; then # else its host has booted again
	initdb -D "$1/data" -A trust -N >/dev/null
	echo 'host all all all trust' >>"$1/data/pg_hba.conf"
fi
exec postgres -D "$1/data" -k "$1" -h '*' -F
