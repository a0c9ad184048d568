#!/bin/sh
# Find the programs that tests and benchmarks compile, run or measure beside us; install them where
# that is allowed.
set -eu

PATH="$PATH:/usr/sbin" # where Debian keeps nginx, also from those who are not root
missing=
for pair in mcs:mono-mcs mono:mono-runtime node:nodejs curl:curl chromium:chromium soffice:libreoffice-calc-nogui \
    nginx:nginx ffmpeg:ffmpeg wrk:wrk cc:gcc taskset:util-linux openssl:openssl; do
    command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair##*:}"
done
# The runtime alone lacks the part of the class library that a C# program of today refers to.
case "$missing" in *mono*) missing="$missing libmono-system-core4.0-cil" ;; esac
case "$missing" in *gcc*) missing="$missing libc6-dev" ;; esac
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # Debian starts what it installs, and nobody asked for a web server on port 80.
    case "$missing" in *nginx*)
        if [ ! -e /usr/sbin/policy-rc.d ]; then
            trap 'rm -f /usr/sbin/policy-rc.d' EXIT
            printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
            chmod 755 /usr/sbin/policy-rc.d
        fi
        ;;
    esac
    echo "Installing for tests and benchmarks:$missing"
    # shellcheck disable=SC2086  # one word per package
    if ! DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $missing >/dev/null 2>&1; then
        apt-get update -qq
        # shellcheck disable=SC2086  # as above
        DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends $missing >/dev/null
    fi
    case "$missing" in *nginx*) systemctl disable nginx >/dev/null 2>&1 || true ;; esac
    exit 0
fi
echo "Tests and benchmarks need these Debian packages:$missing. As root: apt-get install$missing" >&2
exit 1
