#!/bin/sh
# nginx with a file of 50 MB to download: server.sh DIR [ADDRESS]. It runs as root.
set -e
mkdir -p "$1/tmp" "$1/www"
head -c 50000000 /dev/zero >"$1/www/big"
cat >"$1/nginx.conf" <<CONF
daemon off;
pid $1/pid;
error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path $1/tmp;
	proxy_temp_path $1/tmp;
	fastcgi_temp_path $1/tmp;
	uwsgi_temp_path $1/tmp;
	scgi_temp_path $1/tmp;
	server {
		listen ${2:-0.0.0.0}:80;
		root $1/www;
	}
}
CONF
exec nginx -c "$1/nginx.conf"
