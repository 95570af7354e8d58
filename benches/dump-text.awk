# Text as a database dump has it: COPY sections of orders, events and documents, the same every time.
# usage: awk -v mib=1024 -f dump-text.awk > dump.sql     (zstd -3 makes about a third of it)
BEGIN {
    srand(42)
    for (i = 0; i < 4000; i++) { w = ""; n = 2 + i % 9; for (j = 0; j < n; j++) w = w substr("etaoinshrdlucmfwypvbgkjqxz", 1 + int(26 * rand() ^ 2.2), 1); word[i] = w }
    for (i = 0; i < 20000; i++) { s = word[int(3999 * rand() ^ 2.5)]; n = 8 + i % 10; for (j = 0; j < n; j++) s = s " " word[int(3999 * rand() ^ 2.5)]; sentence[i] = s }
    split("delivered shipped pending cancelled", status, " "); split("view cart search login purchase", kind, " ")
    limit = mib * 1048576; size = 0; id = 0
    while (size < limit) {
        section = id % 3; rows = 20000
        print section == 0 ? "COPY app.orders (id, uid, customer_id, status, total, placed_at, address) FROM stdin;" : section == 1 ? "COPY app.event (id, ts, kind, customer_id, payload) FROM stdin;" : "COPY app.document (id, title, body) FROM stdin;"
        for (r = 0; r < rows && size < limit; r++) {
            n = id * 20000 + r
            if (section == 0)
                line = sprintf("%d\t%08x-%04x-4%03x-%04x-%08x%04x\t%d\t%s\t%.2f\t2026-%02d-%02d %02d:%02d:%02d\t{\"street\": \"%d %s St\", \"zip\": \"%05d\"}", n, rand() * 4294967295, rand() * 65535, rand() * 4095, rand() * 65535, rand() * 4294967295, rand() * 65535, 200000 * rand() ^ 2, status[1 + int(4 * rand())], rand() * 900, 1 + r % 12, 1 + r % 28, r % 24, n % 60, n % 59, rand() * 300, word[n % 4000], rand() * 99999)
            else if (section == 1)
                line = sprintf("%d\t2025-%02d-%02d %02d:%02d:%02d\t%s\t%d\t{\"ip\": \"10.%d.%d.7\", \"ms\": %d, \"path\": \"/p/%d\", \"session\": \"%08x%08x\"}", n, 1 + r % 12, 1 + r % 28, r % 24, n % 60, n % 59, kind[1 + int(5 * rand())], rand() * 200000, rand() * 255, rand() * 255, rand() * 2000, rand() * 50000, rand() * 4294967295, rand() * 4294967295)
            else
                line = n "\t" sentence[n % 20000] "\t" sentence[int(20000 * rand())] ". " sentence[int(20000 * rand())] ". " sentence[int(20000 * rand())] "."
            print line; size += length(line) + 1
        }
        print "\\."; print ""; id++
    }
}
