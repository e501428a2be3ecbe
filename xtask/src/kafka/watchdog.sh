# Runs one node and outlives whoever asked for it just long enough to clean up.
#
# usage: watchdog.sh FOLDER LOG COMMAND...
#
# Reads verbs on stdin and answers each with one line. When stdin ends, and so when the process at its other end is
# gone, however it died, the node is killed and its folder removed.
folder=$1 log=$2
shift 2
pid=

finish() {
    trap : INT TERM HUP
    if [ -n "$pid" ]; then
        kill -KILL "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    fi
    if [ -z "$OTTLA_KEEP" ]; then
        rm -rf "$folder"
        # Whoever is the last to leave removes the cluster's own folder.
        rmdir "$(dirname "$folder")" 2>/dev/null
    fi
    exit 0
}
trap finish INT TERM HUP
# Caught, not ignored (the node would inherit that): a reply nobody reads must not end the watchdog.
trap : PIPE

while read -r verb; do
    case $verb in
    START)
        [ -n "$pid" ] && wait "$pid" 2>/dev/null
        "$@" </dev/null >>"$log" 2>&1 &
        pid=$!
        echo "$pid" 2>/dev/null
        ;;
    KILL)
        kill -KILL "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
        pid=
        echo done 2>/dev/null
        ;;
    *)
        kill "-$verb" "$pid" 2>/dev/null
        echo done 2>/dev/null
        ;;
    esac
done
finish
