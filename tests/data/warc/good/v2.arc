filedesc://x.arc 0.0.0.0 20020102030405 text/plain 200 - - 0 x.arc 114
2 0 Example
URL IP-address Archive-date Content-type Result-code Checksum Location Offset Filename Archive-length

http://example.com/one 192.0.2.1 20020102030405 text/html 200 - - 0 x.arc 349
HTTP/1.0 200 OK
Content-Type: text/html

<!DOCTYPE html><html lang="en"><head><title>Tides</title>
<meta property="article:published_time" content="2021-03-04T05:06:07+01:00"></head>
<body><nav><a href="/">Home</a></nav><main><h1>Tides</h1><p>The sea comes and goes
twice a day, and the moon is the reason for most of it.</p></main></body></html>
dns:example.com 192.0.2.1 20020102030405 text/dns 200 - - 0 x.arc 40
20020102030405
example.com. A 192.0.2.1

http://example.com/two 192.0.2.1 20020102030405 text/html 200 - - 0 x.arc 195
HTTP/1.0 200 OK
Content-Type: text/html; charset=koi8-r

<html><head><title>Море</title></head><body><p>Вода приходит и уходит дважды в сутки, и причина тому в основном луна.</p></body></html>
