module sender

go 1.20
