#!/bin/sh
# A query that takes for ever, once the server does not say any more that it is
# starting up (1): client.sh OPTION...
while pg_isready -q -h server -t 2; [ $? = 1 ]; do sleep 0.1; done
exec psql "host=server user=postgres dbname=postgres connect_timeout=3 $*" -c 'select pg_sleep(1000)'
