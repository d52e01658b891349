#!/bin/sh
# A real WordPress with the sample newsroom in it, on loopback only, in a folder of its own.
#
#     scripts/wordpress.sh up [--port N] [--dir DIR]       install what is missing, start it, print where it is
#     scripts/wordpress.sh down [--purge] [--dir DIR]      end the processes that `up` started; --purge removes the folder too
#     scripts/wordpress.sh run [--dir DIR] FILE [ARG...]   run a PHP file inside it ($argv has the arguments)
#
# DIR is artifacts/wordpress unless told. PHP and the server program of MariaDB are installed as Debian packages, which start
# no service; WordPress itself is unpacked into DIR. The database has its own files and socket there and no network. Run by
# root, both servers run as `nobody`. The password of the administrator is made at random and kept in DIR/account.
set -eu

PROJECT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
DIR=$PROJECT/artifacts/wordpress
PORT=
PURGE=
PROGRAMS="mariadb-server-core mariadb-client-core php-cli php-mysql php-xml php-mbstring"
UNPACKED="wordpress wordpress-theme-twentytwentyone wordpress-theme-twentytwentythree libjs-cropper libjs-underscore php-getid3"

say() { echo "wordpress: $*" >&2; }
fail() { say "$*"; exit 1; }
usage() { sed -n '3,5s/^# *//p' "$0" >&2; exit 2; }

options() {
    while [ $# -gt 0 ]; do
        case $1 in
            --port) [ $# -gt 1 ] || usage; PORT=$2; shift 2 ;;
            --dir) [ $# -gt 1 ] || usage; DIR=$2; shift 2 ;;
            --purge) PURGE=yes; shift ;;
            *) usage ;;
        esac
    done
    case $PORT in
        '') ;;
        *[!0-9]* | ??????*) fail "--port $PORT: not a port; give a number from 1024 to 65535" ;;
        *) [ "$PORT" -ge 1024 ] && [ "$PORT" -le 65535 ] || fail "--port $PORT: not a port; give a number from 1024 to 65535" ;;
    esac
}

absolute() { case $DIR in /*) ;; *) DIR=$PWD/$DIR ;; esac; }

# The same command, as `nobody` where we are root.
unprivileged() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=nobody --regid="$(id -gn nobody)" --clear-groups -- "$@"
    else
        "$@"
    fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Whether the process of a pid file is still the one that was started: its command line names our folder.
running() {
    [ -s "$DIR/run/$1.pid" ] && tr '\0' ' ' 2>/dev/null <"/proc/$(cat "$DIR/run/$1.pid")/cmdline" | grep -qF "$DIR/"
}

# Whether a process that was just started is alive; it may not have its own command line yet, or for a moment none.
alive() {
    case $(cat "/proc/$(cat "$DIR/run/$1.pid")/stat" 2>/dev/null) in
        "" | *") Z "*) return 1 ;;
    esac
}

# start NAME COMMAND...: in a session of its own, so that `stop` can end it with its children, and only those.
start() {
    name=$1; shift
    if [ "$(id -u)" = 0 ]; then
        set -- setpriv --reuid=nobody --regid="$(id -gn nobody)" --clear-groups -- "$@"
    fi
    setsid "$@" >"$DIR/log/$name.log" 2>&1 </dev/null 9>&- &
    echo $! >"$DIR/run/$name.pid"
}

stop() {
    if running "$1"; then
        pid=$(cat "$DIR/run/$1.pid")
        kill -s TERM -- "-$pid" 2>/dev/null || ! running "$1" || fail "process $pid cannot be ended; is it another user's?"
        waited=0
        while running "$1"; do
            waited=$((waited + 1))
            [ $waited -lt 150 ] || { kill -s KILL -- "-$pid" 2>/dev/null || true; break; }
            sleep 0.1
        done
    fi
    rm -f "$DIR/run/$1.pid"
}

programs() {
    command -v php >/dev/null && command -v mariadbd >/dev/null && command -v mariadb-install-db >/dev/null \
        && command -v my_print_defaults >/dev/null \
        && php -r 'exit((int) !(extension_loaded("mysqli") && extension_loaded("xml") && extension_loaded("mbstring")));'
}

need_apt() {
    command -v apt-get >/dev/null || fail "$1 is missing and there is no apt-get here; install PHP (mysqli, xml, mbstring), MariaDB and WordPress (in /usr/share/wordpress), then try again"
    [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null || [ "$2" = download ] || fail "$1 is missing and installing it needs root; run: apt-get install $PROGRAMS"
    apt-cache show wordpress mariadb-server-core >/dev/null 2>&1 || as_root apt-get -qq update >&2 \
        || fail "apt-get update failed; see above"
}

install_programs() {
    if programs; then return; fi
    need_apt "PHP or MariaDB" install
    say "installing $PROGRAMS ..."
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $PROGRAMS \
        >"$DIR/log/apt.log" 2>&1 || { tail -n 5 "$DIR/log/apt.log" >&2; fail "apt-get could not install the programs; all it said is in $DIR/log/apt.log"; }
}

# The files of WordPress: unpacked from its packages, or copied from where the system has them installed.
unpack() {
    if [ -e "$DIR/site/.complete" ]; then return; fi
    rm -rf "$DIR/site" "$DIR/packages"
    mkdir -p "$DIR/packages"
    root=/
    if [ ! -e /usr/share/wordpress/wp-load.php ]; then
        need_apt WordPress download
        say "unpacking $UNPACKED ..."
        (cd "$DIR/packages" && apt-get -qq download $UNPACKED >"$DIR/log/download.log" 2>&1) \
            || { tail -n 5 "$DIR/log/download.log" >&2; fail "apt-get could not download WordPress; try apt-get update"; }
        root=$DIR/packages
        for package in "$root"/*.deb; do dpkg-deb -x "$package" "$root"; done
        rm -f "$root/usr/share/wordpress/.htaccess"
    fi
    cp -rL "$root/usr/share/wordpress" "$DIR/site" 2>"$DIR/log/copy.log" || true
    for theme in "$root"/usr/share/wordpress/wp-content/themes/*; do
        [ -e "$DIR/site/wp-content/themes/${theme##*/}" ] || cp -rL "$theme" "$DIR/site/wp-content/themes/"
    done
    [ -e "$DIR/site/wp-includes/version.php" ] || fail "the packages hold no WordPress; see $DIR/log/copy.log"
    rm -rf "$DIR/packages"
    mkdir -p "$DIR/site/wp-content/uploads" "$DIR/site/wp-content/plugins"
    touch "$DIR/site/.complete"
}

# The plug-in as it is in the project now; not active until someone activates it.
plug_in() {
    rm -rf "$DIR/site/wp-content/plugins/related-stories"
    cp -r "$PROJECT/recommender/web/wordpress/related-stories" "$DIR/site/wp-content/plugins/"
}

make_database() {
    if [ -e "$DIR/mysql/.complete" ]; then return; fi
    say "making the database ..."
    rm -rf "$DIR/mysql"
    mkdir -p "$DIR/mysql"
    own
    (cd "$DIR/mysql" && unprivileged mariadb-install-db --no-defaults --datadir="$DIR/mysql" --auth-root-authentication-method=normal \
        --skip-test-db --tmpdir="$DIR/mysql" >"$DIR/log/install-db.log" 2>&1) \
        || fail "the database could not be made; see $DIR/log/install-db.log"
    touch "$DIR/mysql/.complete"
}

own() { [ "$(id -u)" != 0 ] || chown -R nobody: "$DIR/mysql" "$DIR/site" "$DIR/socket/"; }

start_database() {
    if running database; then return; fi
    own
    for _ in 1 2; do
        start database mariadbd --no-defaults --datadir="$DIR/mysql" --socket="$(readlink "$DIR/socket")/db" --skip-networking \
            --pid-file="$DIR/mysql/pid" --innodb-buffer-pool-size=64M --innodb-log-file-size=16M --innodb-flush-log-at-trx-commit=0 \
            --performance-schema=OFF --character-set-server=utf8mb4
        waited=0
        while alive database && [ $waited -lt 600 ]; do
            [ ! -S "$DIR/socket/db" ] || return 0
            waited=$((waited + 1))
            sleep 0.1
        done
        stop database
    done
    tail -n 5 "$DIR/log/database.log" >&2
    fail "the database did not start; see $DIR/log/database.log"
}

random() { head -c "$1" /dev/urandom | od -An -tx1 | tr -d ' \n'; }

configure() {
    umask 077
    [ -s "$DIR/password" ] || random 12 >"$DIR/password"
    [ -s "$DIR/salt" ] || random 32 >"$DIR/salt"
    umask 022
    if [ -z "$PORT" ]; then PORT=$(cat "$DIR/port" 2>/dev/null || echo 8088); fi
    if [ "$PORT" != "$(cat "$DIR/port" 2>/dev/null)" ]; then stop web; fi
    echo "$PORT" >"$DIR/port"
    sed -e "s|@PORT@|$PORT|" -e "s|@SALT@|$(cat "$DIR/salt")|" -e "s|@SOCKET@|$(readlink "$DIR/socket")/db|" \
        "$PROJECT/scripts/wordpress/config.php" >"$DIR/site/wp-config.php"
    cp "$PROJECT/scripts/wordpress/router.php" "$DIR/router.php"
}

php_here() { unprivileged php -d memory_limit=512M -d display_errors=stderr "$@"; }

fill() {
    cp "$PROJECT/scripts/wordpress/fill.php" "$DIR/site/.fill.php"
    cp "$PROJECT/recommender/sample/articles.jsonl" "$DIR/site/.articles.jsonl"
    own
    php_here "$DIR/site/.fill.php" "$DIR/site/.articles.jsonl" <"$DIR/password" >"$DIR/log/fill.log" \
        || { tail -n 5 "$DIR/log/fill.log" >&2; fail "WordPress could not be installed; see $DIR/log/fill.log"; }
    rm -f "$DIR/site/.fill.php" "$DIR/site/.articles.jsonl"
}

answers() { php -r 'exit((int) !@fsockopen("127.0.0.1", (int) $argv[1], $e, $m, 1));' "$PORT"; }

start_web() {
    if running web; then return; fi
    if answers; then fail "port $PORT is taken by another program; choose another with --port"; fi
    export PHP_CLI_SERVER_WORKERS=4
    start web php -d opcache.enable_cli=1 -d memory_limit=256M -S "127.0.0.1:$PORT" -t "$DIR/site" "$DIR/router.php"
    waited=0
    until answers; do
        waited=$((waited + 1))
        alive web && [ $waited -lt 600 ] || { stop web; fail "the web server did not start; see $DIR/log/web.log"; }
        sleep 0.1
    done
}

up() {
    mkdir -p "$DIR" || fail "$DIR cannot be made; choose another with --dir"
    if [ ! -e "$DIR/.made-by-wordpress.sh" ] && [ -n "$(ls -A "$DIR")" ]; then
        fail "$DIR: holds other files; choose an empty or a new folder with --dir"
    fi
    touch "$DIR/.made-by-wordpress.sh" || fail "$DIR cannot be written; choose another with --dir"
    mkdir -p "$DIR/log" "$DIR/run"
    DIR=$(CDPATH='' cd -- "$DIR" && pwd -P)
    unprivileged test -x "$DIR" || fail "$DIR: the user nobody, as whom the servers run, cannot reach it; choose another with --dir"
    exec 9>"$DIR/lock"
    flock -w 300 9 || fail "another \`up\` is at work in $DIR; try again when it has ended"
    install_programs
    unpack
    plug_in
    if [ ! -d "$DIR/socket/" ]; then
        rm -f "$DIR/socket" # Paths of sockets may have 107 bytes and no more, those of folders may: so it lies under a short one.
        ln -s "$(mktemp -d /tmp/wordpress.XXXXXXXX)" "$DIR/socket"
    fi
    make_database
    start_database
    configure
    fill
    start_web
    umask 077
    {
        echo "url       http://127.0.0.1:$PORT/"
        echo "user      admin"
        echo "password  $(cat "$DIR/password")"
    } >"$DIR/account"
    cat "$DIR/account"
}

down() {
    [ -d "$DIR" ] || { say "nothing is there"; return; }
    DIR=$(CDPATH='' cd -- "$DIR" && pwd -P)
    [ -e "$DIR/.made-by-wordpress.sh" ] || fail "$DIR: not a folder that \`up\` made; nothing was changed"
    stop web
    stop database
    if [ -L "$DIR/socket" ]; then
        case $(readlink "$DIR/socket") in /tmp/wordpress.*) rm -rf "$(readlink "$DIR/socket")" ;; esac
        rm -f "$DIR/socket"
    fi
    if [ -n "$PURGE" ]; then rm -rf "$DIR"; fi
}

command=${1-}
[ $# -eq 0 ] || shift
case $command in
    up) options "$@"; absolute; [ -z "$PURGE" ] || usage; up ;;
    down) options "$@"; absolute; down ;;
    run)
        if [ "${1-}" = --dir ] && [ $# -gt 2 ]; then DIR=$2; shift 2; fi
        [ $# -gt 0 ] || usage
        absolute
        [ -e "$DIR/site/wp-config.php" ] || fail "$DIR: no WordPress is there; start one with \`scripts/wordpress.sh up\`"
        file=$1; shift
        [ -r "$file" ] || fail "$file: no such file"
        # A copy, because `nobody` may not reach the file itself.
        copy=$DIR/site/.run-$$.php
        trap 'rm -f "$copy"' EXIT
        cp "$file" "$copy"
        chmod 644 "$copy"
        php_here -d auto_prepend_file="$DIR/site/wp-load.php" "$copy" "$@"
        ;;
    *) usage ;;
esac
