#!/bin/sh
# fetch.sh DATASOURCE RECORDINGID VOICELOCATION FILE
# The extension of FILE chooses the format.
set -eu
answer=$(curl -s --fail-with-body --user "$CALLREEL_USER:$CALLREEL_PASSWORD" \
    --get --data cmd=getvmsg --data-urlencode "datasource=$1" \
    --data-urlencode "recordingid=$2" --data-urlencode "voicelocation=$3" \
    "$CALLREEL_URL/voice.${4##*.}") || {
    echo "${answer:-the server does not answer}" >&2
    exit 1
}
# The answer is an address that needs no login. curl waits where the server says "not now".
curl -sS --fail --retry 5 --output "$4.part" "$answer"
mv "$4.part" "$4"
